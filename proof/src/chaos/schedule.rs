//! Which faults strike when: drawn from a seed, so that it can be drawn again.

use std::collections::BTreeMap;
use std::time::Duration;

use super::dice::Dice;
use super::faults::{Fault, Kind, Place};

/// Nothing strikes before clients have something to lose.
const CALM: Duration = Duration::from_secs(1);
/// The longest pause between two faults, in milliseconds. Most faults last longer, so that several strike at once.
const PAUSE: u64 = 1_800;

/// The part of a trial's dice that schedules are drawn from.
pub const FAULTS: &str = "faults";

/// Faults for so long.
pub fn schedule(mut dice: Dice, time: Duration, kinds: &[Kind]) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut taken: BTreeMap<Place, Duration> = BTreeMap::new();
    let mut at = CALM;
    while at < time {
        if let Some(fault) = draw(&mut dice, at, kinds, &taken) {
            let over = at + fault.lasts + Duration::from_millis(fault.kind.takes);
            taken.insert(fault.place.alone(), over);
            faults.push(fault);
        }
        at += dice.millis(100, PAUSE);
    }
    faults
}

fn draw(dice: &mut Dice, at: Duration, kinds: &[Kind], taken: &BTreeMap<Place, Duration>) -> Option<Fault> {
    let is_free = |place: &Place| taken.get(&place.alone()).is_none_or(|until| *until <= at);
    let possible: Vec<&Kind> = kinds.iter().filter(|kind| kind.reach.places().iter().any(is_free)).collect();
    let kind = **dice.pick(&possible)?;
    let places: Vec<Place> = kind.reach.places().into_iter().filter(is_free).collect();
    let place = *dice.pick(&places)?;
    let lasts = dice.millis(kind.lasts.0, kind.lasts.1);
    Some(Fault { at, kind, place, lasts, seed: dice.draw() })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::faults::named;
    use super::super::options::Options;
    use super::*;

    const LONG: Duration = Duration::from_mins(2);

    #[test]
    fn a_seed_plans_the_same_faults_again_and_another_seed_others() {
        let plan = |seed| schedule(Dice::new(seed), LONG, &named("all"));
        assert_eq!(plan(3), plan(3));
        assert_ne!(plan(3), plan(4));
    }

    #[test]
    fn every_kind_comes_and_several_strike_at_once_but_never_at_one_place() {
        let plan: Vec<Fault> = (0..20).flat_map(|seed| schedule(Dice::new(seed), LONG, &named("all"))).collect();
        for kind in named("all") {
            assert!(plan.iter().any(|fault| fault.kind == kind), "{}", kind.name);
        }
        let mut together = 0;
        let plan = schedule(Dice::new(1), LONG, &named("all"));
        for (n, later) in plan.iter().enumerate() {
            let at_once = plan[..n].iter().filter(|earlier| earlier.at + earlier.lasts > later.at);
            for earlier in at_once {
                together += 1;
                assert_ne!(earlier.place, later.place);
            }
        }
        assert!(together > 20, "only {together} pairs at once");
    }

    #[test]
    fn each_node_of_a_cluster_is_struck_and_never_two_at_once() {
        let plan: Vec<Fault> = schedule(Dice::new(1), LONG, &named("cluster"));
        let nodes: BTreeSet<Place> = plan.iter().map(|fault| fault.place).collect();
        assert_eq!(nodes, [Place::Node(0), Place::Node(1), Place::Node(2)].into());
        assert!(plan.windows(2).all(|two| two[0].at + two[0].lasts <= two[1].at));
    }

    #[test]
    fn the_short_set_plans_every_kind_but_two() {
        let script = include_str!("../../../scripts/chaos");
        let command = script.lines().find_map(|line| line.strip_prefix("\"$apart/chaos\" --seed ")).unwrap();
        let options = Options::read(format!("--seed {command}").split_whitespace().map(ToOwned::to_owned)).unwrap();
        let seeds = options.seed..options.seed + options.rounds;
        let plan = |seed| schedule(Dice::new(seed).of_part(FAULTS), options.time, &options.kinds);
        let planned: BTreeSet<&str> = seeds.flat_map(plan).map(|fault| fault.kind.name).collect();
        let all = named("all").into_iter().filter(|kind| kind.group != "versions");
        let left_out: Vec<&str> = all.map(|kind| kind.name).filter(|name| !planned.contains(name)).collect();
        assert!(left_out.len() <= 2, "{left_out:?}");
    }

    #[test]
    fn only_what_was_asked_for_strikes() {
        let plan = schedule(Dice::new(1), LONG, &named("kill-worker"));
        assert!(!plan.is_empty() && plan.iter().all(|fault| fault.kind.name == "kill-worker"));
        assert!(named("nonsense").is_empty());
    }
}
