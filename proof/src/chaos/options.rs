//! The command line of `chaos`.

use std::time::Duration;

use super::faults::{KINDS, Kind, named};

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The seed of the first trial; the next ones follow.
    pub seed: u64,
    /// How long faults strike in each trial.
    pub time: Duration,
    /// How many trials.
    pub rounds: u64,
    /// Which faults.
    pub kinds: Vec<Kind>,
}

impl Default for Options {
    fn default() -> Self {
        Self { seed: 1, time: Duration::from_secs(30), rounds: 1, kinds: named("all") }
    }
}

impl Options {
    /// Reads arguments; the error says what is wrong with them.
    pub fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--seed" => options.seed = number(&value()?)?,
                "--seconds" => options.time = Duration::from_secs(number(&value()?)?.clamp(2, 3_600)),
                "--rounds" => options.rounds = number(&value()?)?.clamp(1, 1_000),
                "--faults" => options.kinds = kinds(&value()?)?,
                _ => return Err(format!("{argument} is not known")),
            }
        }
        Ok(options)
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text:?} is not a number"))
}

fn kinds(names: &str) -> Result<Vec<Kind>, String> {
    let mut kinds = Vec::new();
    for name in names.split(',') {
        let found = named(name);
        if found.is_empty() && name != "none" {
            return Err(format!("{name:?} is no fault and no group of faults"));
        }
        kinds.extend(found);
    }
    kinds.dedup();
    Ok(kinds)
}

/// What the program says of itself.
pub fn help() -> String {
    let mut groups: Vec<&str> = KINDS.iter().map(|kind| kind.group).collect();
    groups.dedup();
    let mut faults = String::new();
    for group in groups {
        let names: Vec<&str> = named(group).iter().map(|kind| kind.name).collect();
        faults.push_str(&format!("  {group:<12} {}\n", names.join(", ")));
    }
    format!(
        "usage: chaos [--seed N] [--seconds N] [--rounds N] [--faults NAME,…]\n\n\
         Faults, by group; `all` is every one, `none` none:\n{faults}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options, String> {
        Options::read(line.split_whitespace().map(ToOwned::to_owned))
    }

    #[test]
    fn arguments_are_read_and_slips_are_told() {
        let options = read("--seed 7 --seconds 20 --rounds 2 --faults processes,cut").unwrap();
        assert_eq!((options.seed, options.time.as_secs(), options.rounds), (7, 20, 2));
        assert!(options.kinds.iter().all(|kind| kind.group == "processes" || kind.name == "cut"));
        assert!(read("--faults none").unwrap().kinds.is_empty());
        for slip in ["--sede 7", "--seed", "--seed x", "--faults kill-everything"] {
            assert!(read(slip).is_err(), "{slip}");
        }
    }

    #[test]
    fn the_help_names_every_fault() {
        assert!(KINDS.iter().all(|kind| help().contains(kind.name)));
    }
}
