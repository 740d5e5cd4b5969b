//! The command line of `chaos`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use super::faults::{KINDS, Kind, available, named};
use super::lacks::Lacks;
use super::load::CLIENTS;
use super::means::Means;
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
    /// Whether somebody named them.
    pub named: bool,
    /// Whether it is embedded mode that is tried.
    pub embedded: bool,
    /// Whether the broker is a cluster of three nodes.
    pub cluster: bool,
    /// An earlier release.
    pub previous: Option<PathBuf>,
    /// What that does not know.
    pub lacks: Lacks,
    /// Promises that are broken on purpose, one after the other: then violations must be found.
    pub mutations: Vec<Mutation>,
    /// The profile that the script built with, if it was told one.
    pub profile: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            time: Duration::from_secs(30),
            rounds: 1,
            clients: CLIENTS,
            kinds: named("all"),
            named: false,
            embedded: false,
            cluster: false,
            previous: None,
            lacks: Lacks::default(),
            mutations: Vec::new(),
            profile: None,
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
                "--previous-lacks" => options.lacks = Lacks::read(&value()?)?,
                "--mutation" => options.mutations = mutations(&value()?)?,
                _ => return Err(format!("{argument} is not known")),
            }
        }
        if options.embedded {
            options.kinds = named("embedded");
        }
        if options.cluster {
            options.kinds = kinds("cluster,processes,links,purge-queues")?;
        }
        options.named = chosen.is_some();
        options.kinds = chosen.unwrap_or(options.kinds);
        if options.kinds.iter().any(|kind| (kind.group == "embedded") != options.embedded) {
            return Err("the group `embedded` goes with --embedded, and no other group does".to_owned());
        }
        if !options.cluster && options.kinds.iter().any(|kind| kind.group == "cluster") {
            return Err("the group `cluster` goes with --cluster".to_owned());
        }
        if options.lacks != Lacks::default() && options.previous.is_none() {
            return Err("--previous-lacks goes with --previous".to_owned());
        }
        Ok(options)
    }

    /// What faults are drawn from. Those that were named stay also where they cannot be had, so that the same is drawn on
    /// every machine; these are left out as they are drawn. A mutation has its own, unless others were named.
    pub fn drawn_from(&self, mutation: Option<Mutation>, means: &Means) -> Vec<Kind> {
        match mutation {
            _ if self.named => self.kinds.clone(),
            Some(mutation) => mutation.kinds(),
            None => available(&self.kinds, means).0,
        }
    }

    /// The command that draws the same faults and the same load again as the trial of one seed, on any machine: it names
    /// all `kinds` that are drawn from. What they meet differs in its timing.
    pub fn again(&self, seed: u64, kinds: &[Kind], mutation: Option<Mutation>) -> String {
        let mut names: Vec<&str> = kinds.iter().map(|kind| kind.name).collect();
        if names.is_empty() {
            names.push("none");
        }
        let mut command = String::new();
        if let Some(profile) = &self.profile {
            let _ = write!(command, "RAINCHECK_CHAOS_PROFILE={profile} ");
        }
        let _ = write!(
            command,
            "scripts/chaos --seed {seed} --seconds {} --faults {}",
            self.time.as_secs(),
            names.join(",")
        );
        if self.clients != CLIENTS {
            let _ = write!(command, " --clients {}", self.clients);
        }
        if self.embedded {
            command.push_str(" --embedded");
        }
        if self.cluster {
            command.push_str(" --cluster");
        }
        if let Some(mutation) = mutation {
            let _ = write!(command, " --mutation {}", mutation.name);
        }
        if let Some(previous) = &self.previous {
            let _ = write!(command, " --previous {}", previous.display());
        }
        if self.lacks != Lacks::default() {
            let _ = write!(command, " --previous-lacks {}", self.lacks.names());
        }
        command
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text:?} is not a number"))
}

fn mutations(names: &str) -> Result<Vec<Mutation>, String> {
    if names == "all" {
        return Ok(MUTATIONS.into());
    }
    let known = |name: &str| MUTATIONS.into_iter().find(|mutation| mutation.name == name);
    names.split(',').map(|name| known(name).ok_or_else(|| format!("{name:?} is no mutation"))).collect()
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
         [--embedded] [--cluster] [--previous PATH [--previous-lacks NAME,…]] [--mutation NAME,…]\n\n\
         Runs raincheck under load while faults strike it and its servers, and checks the history of every job. Ends with 1\n\
         if a promise was broken. `scripts/chaos` builds what it needs; the raincheck that is tried is the one beside this\n\
         program, or the one that RAINCHECK_PROGRAM names. Without arguments the script runs the short set.\n\n\
         --faults    which may strike, by name or group; `all` is every one, `none` none:\n{faults}\
         --embedded  tries `raincheck up` over SQLite\n\
         --cluster   gives RabbitMQ three nodes, any of which may be lost, one at a time\n\
         --previous  an earlier release of raincheck, for the group `versions`; --previous-lacks: which of webhooks, blobs,\n             \
         batches, ids it does not know, so that the trial leaves them alone\n\
         --mutation  breaks a promise on purpose ({}, or all of them in turn), and\n             \
         ends with 0 only if that was found; `none` breaks none, and nothing may be found",
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
        for slip in ["--sede 7", "--seed", "--seed x", "--faults kill-everything", "--previous-lacks blobs"] {
            assert!(read(slip).is_err(), "{slip}");
        }
    }

    #[test]
    fn the_command_that_repeats_a_seed_draws_the_same_on_every_machine() {
        let all = Means { failpoints: true, faketime: Some("f".into()), previous: None, small_disk: true };
        let few = Means::default();
        let again = |line: &str, means: &Means| {
            let options = Options { profile: Some("release".to_owned()), ..read(line).unwrap() };
            let mutation = options.mutations.first().copied();
            options.again(9, &options.drawn_from(mutation, means), mutation)
        };
        for line in ["--faults clocks,cut", "--mutation no-fence", "--previous p --previous-lacks ids --seconds 9"] {
            for means in [&all, &few] {
                let command = again(line, means);
                let arguments = command.strip_prefix("RAINCHECK_CHAOS_PROFILE=release scripts/chaos ").unwrap();
                assert_eq!([again(arguments, &all), again(arguments, &few)], [command.clone(), command.clone()]);
            }
        }
        assert!(again("", &all).contains("false-clock") && !again("", &few).contains("false-clock"));
    }

    #[test]
    fn the_help_names_every_fault() {
        assert!(KINDS.iter().all(|kind| help().contains(kind.name)));
    }
}
