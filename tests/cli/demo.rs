//! `raincheck demo` where nothing runs: the first thing that many people try.

use super::Desk;

#[test]
fn a_demo_without_anything_serves_a_meal_and_leaves_nothing_behind() {
    let desk = Desk::new();
    let temporary = desk.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let environment = [("TMPDIR", temporary.to_str().unwrap()), ("RAINCHECK__HTTP__LISTEN", "127.0.0.1:1")];
    let said = desk.run_with(&["demo", "pizza"], &environment);
    said.assert_code(0);
    said.assert_out_has("Nothing is ready at http://127.0.0.1:1");
    said.assert_out_has("100 %  succeeded");
    said.assert_out_has("one pizza, still hot. Enjoy!");
    said.assert_nowhere("\u{1b}[");
    assert_eq!(desk.files(), std::slice::from_ref(&temporary));
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
}
