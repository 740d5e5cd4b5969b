//! The programs in docs/webhooks.md that check signatures, run as they stand there on what the service really sent.

#[expect(unreachable_pub, reason = "to the letter what the page shows")]
mod check;

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::post_job;
use super::webhooks::{SECRET, settings};
use crate::harness::receiver::Receiver;
use crate::harness::served::{Served, Work};
use crate::harness::temp::TempFolder;
use crate::tidy::tree;

/// A language of the page, the program that runs it, its file, and what is put below it to ask it.
const PROGRAMS: [(&str, &str, &str, &str); 2] = [
    (
        "python",
        "python3",
        "check.py",
        "import json, sys\nprint(json.dumps([verify(c['secret'], c['headers'], c['body'].encode()) for c in json.load(sys.stdin)]))\n",
    ),
    (
        "js",
        "node",
        "check.mjs",
        "import { readFileSync } from 'node:fs';\nconst cases = JSON.parse(readFileSync(0, 'utf8'));\n\
         console.log(JSON.stringify(cases.map((c) => verify(c.secret, c.headers, Buffer.from(c.body)))));\n",
    ),
];

/// What stands in the page in a language.
fn snippet(page: &str, language: &str) -> String {
    let after = page.split(&format!("```{language}\n")).nth(1).expect("a snippet");
    after.split("\n```").next().expect("its end").to_owned() + "\n"
}

fn answers(program: &str, file: &std::path::Path, cases: &Value) -> Value {
    let mut child = Command::new(program).arg(file).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(cases.to_string().as_bytes()).unwrap();
    let said = child.wait_with_output().unwrap();
    assert!(said.status.success(), "{program}");
    serde_json::from_slice(&said.stdout).unwrap()
}

#[tokio::test]
async fn the_snippets_of_the_page_take_what_is_signed_and_nothing_else() {
    const OTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let both = format!("{OTHER},{SECRET}");
    let served = Served::with(Work::Worker, &settings(&[("webhooks.secrets.default", &both)])).await;
    let receiver = Receiver::answering(200).await;
    post_job(&served.client, &json!({"kind": "echo", "input": "soup ü", "webhook": {"url": receiver.url()}}), &[])
        .await;
    let heard = receiver.until(1).await.remove(0);
    assert!(served.stop().await);

    let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let headers: Value = names
        .iter()
        .map(|name| ((*name).to_owned(), json!(heard.header(name))))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let good = json!({"secret": SECRET, "headers": headers, "body": String::from_utf8(heard.body.clone()).unwrap()});
    let spoilt = |pointer: &str, text: &str| {
        let mut case = good.clone();
        *case.pointer_mut(pointer).unwrap() = json!(text);
        case
    };
    let cases = json!([
        good,
        spoilt("/secret", OTHER),
        spoilt("/secret", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        spoilt("/body", "{}"),
        spoilt("/headers/webhook-id", "0192f0c1-2345-7abc-8def-0123456789ab_4"),
        spoilt("/headers/webhook-timestamp", "1600000000"),
        spoilt("/headers/webhook-signature", "v1,AAAA v1a,AAAA v2"),
        spoilt("/headers/webhook-signature", ""),
    ]);
    let expected = json!([true, true, false, false, false, false, false, false]);
    let (page, folder) = (tree::file("docs/webhooks.md").text, TempFolder::new("raincheck-snippets"));
    let source = tree::file("tests/api/webhook_snippets/check.rs").text;
    assert_eq!(
        source.split_once("\n\n").unwrap().1,
        snippet(&page, "rust"),
        "the page shows another check than is tried here"
    );
    let of = |case: &Value, pointer: &str| case.pointer(pointer).unwrap().as_str().unwrap().to_owned();
    let checked = cases.as_array().unwrap().iter().map(|case| {
        let [id, at, signatures] = names.map(|name| of(case, &format!("/headers/{name}")));
        check::verify(&of(case, "/secret"), &id, &at, &signatures, of(case, "/body").as_bytes())
    });
    assert_eq!(checked.map(Value::from).collect::<Value>(), expected, "rust");
    let mut ran = 0;
    for (language, program, name, below) in PROGRAMS {
        let file = folder.0.join(name);
        std::fs::write(&file, snippet(&page, language) + below).unwrap();
        // What is not on this machine cannot be tried; one of them has to be.
        if Command::new(program).arg("--version").output().is_ok() {
            assert_eq!(answers(program, &file, &cases), expected, "{language}");
            ran += 1;
        }
    }
    assert!(ran > 0, "neither python3 nor node is here");
}
