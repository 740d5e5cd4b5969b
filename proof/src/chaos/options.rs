//! The command line of `chaos`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use super::faults::{KINDS, Kind, named};
use super::load::CLIENTS;
use super::mutations::{MUTATIONS, Mutation};

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The seed of the first trial; the next ones follow.
    pub seed: u64,
    /// How long faults strike in each trial.
    pub time: Duration,
    /// How many trials.
    pub rounds: u64,
    /// How many clients.
    pub clients: u64,
    /// Which faults.
    pub kinds: Vec<Kind>,
    /// Whether it is embedded mode that is tried.
    pub embedded: bool,
    /// Whether the broker is a cluster of three nodes.
    pub cluster: bool,
    /// An earlier release.
    pub previous: Option<PathBuf>,
    /// A promise that is broken on purpose: then a violation must be found.
    pub mutation: Option<Mutation>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            time: Duration::from_secs(30),
            rounds: 1,
            clients: CLIENTS,
            kinds: named("all"),
            embedded: false,
            cluster: false,
            previous: None,
            mutation: None,
        }
    }
}

impl Options {
    /// Reads arguments; the error says what is wrong with them.
    pub fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        let mut chosen = None;
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--seed" => options.seed = number(&value()?)?,
                "--seconds" => options.time = Duration::from_secs(number(&value()?)?.clamp(2, 3_600)),
                "--rounds" => options.rounds = number(&value()?)?.clamp(1, 1_000),
                "--clients" => options.clients = number(&value()?)?.clamp(1, 200),
                "--faults" => chosen = Some(kinds(&value()?)?),
                "--embedded" => options.embedded = true,
                "--cluster" => options.cluster = true,
                "--previous" => options.previous = Some(PathBuf::from(value()?)),
                "--mutation" => {
                    let name = value()?;
                    let known = MUTATIONS.iter().find(|mutation| mutation.name == name);
                    options.mutation = Some(*known.ok_or_else(|| format!("{name:?} is no mutation"))?);
                }
                _ => return Err(format!("{argument} is not known")),
            }
        }
        let fitting = options.mutation.map(|mutation| kinds(mutation.faults)).transpose()?;
        if options.embedded {
            options.kinds = named("embedded");
        }
        if options.cluster {
            options.kinds = kinds("cluster,processes,links,purge-queues")?;
        }
        options.kinds = chosen.or(fitting).unwrap_or(options.kinds);
        if options.kinds.iter().any(|kind| (kind.group == "embedded") != options.embedded) {
            return Err("the group `embedded` goes with --embedded, and no other group does".to_owned());
        }
        if !options.cluster && options.kinds.iter().any(|kind| kind.group == "cluster") {
            return Err("the group `cluster` goes with --cluster".to_owned());
        }
        Ok(options)
    }

    /// The command that draws the same faults and the same load again as the trial of one seed. What they meet differs in
    /// its timing.
    pub fn again(&self, seed: u64) -> String {
        let mut names: Vec<&str> = self.kinds.iter().map(|kind| kind.name).collect();
        if names.is_empty() {
            names.push("none");
        }
        let mut command =
            format!("scripts/chaos --seed {seed} --seconds {} --faults {}", self.time.as_secs(), names.join(","));
        if self.clients != CLIENTS {
            let _ = write!(command, " --clients {}", self.clients);
        }
        if self.embedded {
            command.push_str(" --embedded");
        }
        if self.cluster {
            command.push_str(" --cluster");
        }
        if let Some(mutation) = self.mutation {
            let _ = write!(command, " --mutation {}", mutation.name);
        }
        if let Some(previous) = &self.previous {
            let _ = write!(command, " --previous {}", previous.display());
        }
        command
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
    let groups: BTreeSet<&str> = KINDS.iter().map(|kind| kind.group).collect();
    let mut faults = String::new();
    for group in groups {
        let names: Vec<&str> = named(group).iter().map(|kind| kind.name).collect();
        let _ = writeln!(faults, "  {group:<12} {}", names.join(", "));
    }
    let mutations: Vec<&str> = MUTATIONS.iter().map(|mutation| mutation.name).collect();
    format!(
        "usage: scripts/chaos [--seed N] [--seconds N] [--rounds N] [--clients N] [--faults NAME,…]\n             \
         [--embedded] [--cluster] [--previous PATH] [--mutation NAME]\n\n\
         Runs raincheck under load while faults strike it and its servers, and checks the history of every job. Ends with 1\n\
         if a promise was broken. `scripts/chaos` builds what it needs; the raincheck that is tried is the one beside this\n\
         program, or the one that RAINCHECK_PROGRAM names. Without arguments the script runs the short set.\n\n\
         --faults    which may strike, by name or group; `all` is every one, `none` none:\n{faults}\
         --embedded  tries `raincheck up` over SQLite\n\
         --cluster   gives RabbitMQ three nodes, two of which may be lost in turn\n\
         --previous  an earlier release of raincheck, for the group `versions`\n\
         --mutation  breaks a promise on purpose ({}), and ends with 0 only if that was found",
        mutations.join(", ")
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
