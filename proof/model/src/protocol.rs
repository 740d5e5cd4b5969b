//! What each step does, and the model as the checker sees it.

use stateright::{Model, Property};

use crate::claiming::Answer;
use crate::promises::PROMISES;
use crate::scene::Scene;
use crate::step::Step;
use crate::world::{Cut, World};

impl Scene {
    /// What a step makes of a moment. `None`: it cannot happen then, or changes nothing.
    pub fn step(&self, before: &World, step: Step) -> Option<World> {
        let mut world = *before;
        if step.is_surprise() {
            world.surprises = world.surprises.checked_sub(1)?;
        }
        if !matches!(step, Step::Answer(_)) && world.owes_an_answer() {
            return None;
        }
        let counted = world;
        world.act(self, step)?;
        if world == counted {
            return None;
        }
        world.settle(before);
        world.rename(self.jobs == 2 && !self.scheduled);
        Some(world)
    }
}

impl World {
    fn act(&mut self, scene: &Scene, step: Step) -> Option<()> {
        use Step as S;
        match step {
            S::Commit(jobs) => self.commit(scene, jobs),
            S::Answer(job) => self.answer(scene, job),
            S::Cancel(job) => self.cancel(job),
            S::Publish(id) => self.publish(scene, id),
            S::Confirm(id) => self.confirm(id, true),
            S::LoseConfirm(id) => self.confirm(id, false),
            S::Note(id) => self.note(id),
            S::Fire(job, due) => self.fire(scene, job, due),
            S::Rescue(incarnation) => self.rescue(scene, incarnation),
            S::FindLost(id) => self.find_lost(scene, id, false),
            S::FindMistaken(id) => self.find_lost(scene, id, true),
            S::ApiDies => self.api_dies(),

            S::BrokerGoes => self.broker_goes(),
            S::BrokerForgets => {
                self.broker_forgets();
                Some(())
            }
            S::BrokerReturns => self.broker_returns(),
            S::Duplicate(id) => self.duplicate(id),
            S::TakeBack(worker) => self.workers[worker].frozen.then(|| self.take_back(worker)).flatten(),

            S::Receive(worker, id) => self.receive(scene, worker, id),
            S::Claim(worker) => self.claim(scene, worker, Answer::Heard),
            S::LoseClaim(worker) => self.claim(scene, worker, Answer::Lost),
            S::ClaimWaiting(worker, id) => self.claim_waiting(scene, worker, id, Answer::Heard),
            S::LoseClaimWaiting(worker, id) => self.claim_waiting(scene, worker, id, Answer::Lost),
            S::Ack(worker) => self.ack(scene, worker),
            S::GiveBack(worker) => self.give_message_back(worker),
            S::DropStrays(worker) => self.drop_strays(scene, worker),
            S::End(worker, job, outcome) => self.end(worker, job, outcome),
            S::Record(worker) => self.record(scene, worker),
            S::LoseRecord(worker) => self.lose_record(scene, worker),

            S::Renew(worker) => self.renew(worker),
            S::StopHandlers(worker) => self.stop_handlers(scene, worker),
            S::LearnLoss(worker) => self.learn_loss(worker),
            S::Drain(worker) => self.drain(worker),
            S::Exit(worker) => self.exit(worker),
            S::Start(worker) => self.start_anew(worker),
            S::Die(worker) => self.die(worker),
            S::Freeze(worker) => self.freeze(worker),
            S::Thaw(worker) => self.thaw(worker),
            S::CutOff(worker) => self.cut_off(worker, Cut::Silent),
            S::Sever(worker) => self.cut_off(worker, Cut::Severed),
            S::Reconnect(worker) => self.reconnect(worker),
        }
    }
}

impl Model for Scene {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self.surprises)]
    }

    fn actions(&self, _: &World, actions: &mut Vec<Step>) {
        actions.extend(Step::all(self));
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        self.step(world, step)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        PROMISES.iter().map(|promise| Property::always(promise.name, promise.holds)).collect()
    }
}
