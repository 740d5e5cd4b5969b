//! Migrations are twins: each number and name exists for both stores, and no number twice.

use super::assert_tidy;
use super::tree::sources;

fn complaints(postgres: &[String], sqlite: &[String]) -> Vec<String> {
    let mut complaints = Vec::new();
    for (ours, theirs, other) in [(postgres, sqlite, "sqlite"), (sqlite, postgres, "postgres")] {
        for name in ours.iter().filter(|name| !theirs.contains(name)) {
            complaints.push(format!("{name} has no twin in migrations/{other}"));
        }
        // The first is 0001 and each has a number of its own. Branches take numbers ahead of one another, so there may be
        // gaps for a while.
        let mut last = 0;
        for name in ours {
            let (number, sentence) = name.split_once('_').unwrap_or((name, ""));
            let read =
                number.parse().ok().filter(|read: &u32| number.len() == 4 && *read > last && (last > 0 || *read == 1));
            match read {
                Some(read) => last = read,
                None => complaints.push(format!("{name}: its number should be four digits, from 0001 on, and its own")),
            }
            if sentence.split('_').count() < 3 {
                complaints.push(format!("{name}: its name should be a sentence"));
            }
        }
    }
    complaints
}

#[test]
fn every_migration_has_a_twin_with_the_same_number_and_sentence() {
    let files = sources(&["sql"]);
    let names = |folder: &str| -> Vec<String> {
        files.iter().filter_map(|file| file.path.strip_prefix(folder)).map(str::to_owned).collect()
    };
    let (postgres, sqlite) = (names("migrations/postgres/"), names("migrations/sqlite/"));
    assert!(!postgres.is_empty(), "no migrations were found");
    assert_tidy(&complaints(&postgres, &sqlite));
}

#[test]
fn a_missing_twin_a_number_taken_twice_and_a_nameless_migration_are_found() {
    let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    let first = "0001_create_jobs_and_more.sql";
    assert_eq!(complaints(&names(&[first, "0002_add_a_column.sql"]), &names(&[first])).len(), 1);
    assert_eq!(complaints(&names(&["0003_add_a_column.sql"]), &names(&["0003_add_a_column.sql"])).len(), 2);
    let twice = names(&[first, "0002_add_a_column.sql", "0002_add_a_table.sql"]);
    assert_eq!(complaints(&twice, &twice).len(), 2);
    assert_eq!(complaints(&names(&["0001_jobs.sql"]), &names(&["0001_jobs.sql"])).len(), 2);
    assert_tidy(&complaints(&names(&[first]), &names(&[first])));
}
