//! What an earlier release does not know yet, so that a trial it takes part in leaves it alone.

/// A part of raincheck that trials use and that an earlier release may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Nobody is told of an end.
    Webhooks,
    /// All bodies have room in the database.
    Blobs,
    /// `POST /v1/batches`.
    Batches,
    /// `PUT /v1/jobs/{id}`.
    Ids,
}

const NAMES: [(&str, Part); 4] =
    [("webhooks", Part::Webhooks), ("blobs", Part::Blobs), ("batches", Part::Batches), ("ids", Part::Ids)];

/// Those that are lacking.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lacks(Vec<Part>);

impl Lacks {
    /// Reads names, such as `webhooks,blobs`.
    pub fn read(names: &str) -> Result<Self, String> {
        let read = |name: &str| {
            let known = NAMES.into_iter().find(|(known, _)| *known == name);
            known.map(|(_, part)| part).ok_or_else(|| format!("{name:?} is nothing that may be lacking"))
        };
        names.split(',').map(read).collect::<Result<_, _>>().map(Self)
    }

    /// The names again; empty if nothing is lacking.
    pub fn names(&self) -> String {
        let lacking = NAMES.into_iter().filter(|(_, part)| self.includes(*part)).map(|(name, _)| name);
        lacking.collect::<Vec<_>>().join(",")
    }

    /// Whether it is lacking.
    pub fn includes(&self, part: Part) -> bool {
        self.0.contains(&part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_told_again() {
        let lacks = Lacks::read("blobs,webhooks").unwrap();
        assert!(lacks.includes(Part::Webhooks) && lacks.includes(Part::Blobs) && !lacks.includes(Part::Ids));
        assert_eq!((lacks.names().as_str(), Lacks::default().names().as_str()), ("webhooks,blobs", ""));
        assert!(Lacks::read("blobs,everything").is_err());
    }
}
