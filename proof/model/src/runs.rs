//! That every run comes to its end.
//!
//! A checker's `eventually` asks whether a run can go round in a circle, and which circles are fair. Here there are none:
//! surprises are numbered, attempts are numbered, and each message brings a job on or goes. So this shows two things. The
//! graph of all moments has **no circle**, so every run is finite, whatever the order of its steps. And a moment in which
//! raincheck **has nothing left to do** is one in which every job was answered for and has ended. "Nothing left to do"
//! does not count on luck: [`Step::is_optional`] says what need never come, such as the return of the broker.
//!
//! So whoever keeps taking steps that are possible gets every job to its end. No fairness is needed beyond that.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use stateright::Model;

use crate::promises::{PROMISES, Promise};
use crate::scene::Scene;
use crate::step::Step;
use crate::world::World;

/// What a look at all runs found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runs {
    /// Every run ends with every job ended, and nothing of it in the side tables.
    AllEnd {
        /// Different moments.
        moments: usize,
        /// Steps of the longest run.
        longest: usize,
    },
    /// A promise does not hold.
    Broken(&'static str, Vec<Step>),
    /// Raincheck has nothing left to do, and not every job has ended.
    Stuck(Vec<Step>),
    /// Every job has ended and raincheck has nothing left to do, but a dispatch or a lease is still there.
    LeftBehind(Vec<Step>),
    /// The last step leads to a moment that the run has been in.
    Circle(Vec<Step>),
}

/// A moment on the way, with what is still to be tried from there.
struct Open {
    print: u64,
    by: Option<Step>,
    next: Vec<(Step, World)>,
    longest: usize,
}

/// Goes through all runs of a scene, and looks at the promises on the way.
pub fn all(scene: &Scene) -> Runs {
    Walk::new(scene, &PROMISES).through_all()
}

/// The same, whether promises hold or not.
pub fn all_but_promises(scene: &Scene) -> Runs {
    Walk::new(scene, &[]).through_all()
}

struct Walk<'a> {
    scene: &'a Scene,
    promises: &'a [Promise],
    steps: Vec<Step>,
    /// `None` while it is on the way, then the steps of the longest run from there.
    seen: HashMap<u64, Option<usize>>,
    way: Vec<Open>,
}

impl<'a> Walk<'a> {
    fn new(scene: &'a Scene, promises: &'a [Promise]) -> Self {
        Self { scene, promises, steps: Step::all(scene), seen: HashMap::new(), way: Vec::new() }
    }

    fn through_all(mut self) -> Runs {
        let mut longest = 0;
        for first in self.scene.init_states() {
            match self.through_all_from(&first) {
                Ok(length) => longest = longest.max(length),
                Err(wrong) => return wrong,
            }
        }
        Runs::AllEnd { moments: self.seen.len(), longest }
    }

    fn through_all_from(&mut self, first: &World) -> Result<usize, Runs> {
        let mut longest = 0;
        self.enter(None, first)?;
        while let Some(open) = self.way.last_mut() {
            let Some((step, world)) = open.next.pop() else {
                let (print, length) = (open.print, open.longest);
                self.seen.insert(print, Some(length));
                self.way.pop();
                match self.way.last_mut() {
                    Some(before) => before.longest = before.longest.max(length + 1),
                    None => longest = length,
                }
                continue;
            };
            match self.seen.get(&fingerprint(&world)) {
                Some(Some(length)) => open.longest = open.longest.max(length + 1),
                Some(None) => return Err(Runs::Circle(self.steps_so_far(Some(step)))),
                None => self.enter(Some(step), &world)?,
            }
        }
        Ok(longest)
    }

    fn enter(&mut self, by: Option<Step>, world: &World) -> Result<(), Runs> {
        if let Some(promise) = self.promises.iter().find(|promise| !(promise.holds)(self.scene, world)) {
            return Err(Runs::Broken(promise.name, self.steps_so_far(by)));
        }
        let next = self.steps.iter().filter_map(|step| Some((*step, self.scene.step(world, *step)?)));
        let next: Vec<(Step, World)> = next.collect();
        let more_to_do = next.iter().any(|(step, _)| !step.is_optional(world));
        if !more_to_do && !world.is_over(self.scene.jobs) {
            return Err(Runs::Stuck(self.steps_so_far(by)));
        }
        if !more_to_do && !world.is_tidy() {
            return Err(Runs::LeftBehind(self.steps_so_far(by)));
        }
        let print = fingerprint(world);
        self.seen.insert(print, None);
        self.way.push(Open { print, by, next, longest: 0 });
        Ok(())
    }

    fn steps_so_far(&self, last: Option<Step>) -> Vec<Step> {
        self.way.iter().filter_map(|open| open.by).chain(last).collect()
    }
}

/// 64 bits stand for a moment: that two of some millions share theirs is less likely than one in a hundred thousand.
fn fingerprint(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    hasher.finish()
}
