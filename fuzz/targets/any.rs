//! libFuzzer for the target that `RAINCHECK_FUZZ_TARGET` names.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use raincheck_fuzz::Target;

static TARGET: LazyLock<&'static Target> = LazyLock::new(|| {
    let name = std::env::var("RAINCHECK_FUZZ_TARGET").unwrap_or_default();
    Target::named(&name).unwrap_or_else(|| panic!("RAINCHECK_FUZZ_TARGET={name:?} is not one of {}", Target::names()))
});

fuzz_target!(|bytes: &[u8]| TARGET.run(bytes));
