//! `lobby provision` over the scripted API.

use crate::support::api::{Api, Shared};
use crate::support::{api_config, error};
use lobby::pools::Pools;
use lobby::provision;
use serde_json::json;

const FLEET: &str = "machines_max = 5
[[pool]]
region = \"ewr\"
machines = 2
machines_max = 3
[[pool]]
region = \"cdg\"
machines = 1
machines_max = 2
";

async fn provision(api: &Shared, image: Option<&str>, is_dry_run: bool) -> (bool, String) {
    let mut out = Vec::new();
    let done = provision::run(&api_config(api), &Pools::parse(FLEET).unwrap(), image, is_dry_run, &mut out).await;
    let told = done.as_ref().err().map(|error| format!("{error:#}")).unwrap_or_default();
    (done.is_ok(), String::from_utf8(out).unwrap() + &told)
}

#[tokio::test]
async fn a_dry_run_prints_the_plan_and_a_run_carries_it_out_once() {
    let api = Api::serve(&[("m1", "ewr", "stopped")]).await;
    let (is_ok, told) = provision(&api, None, true).await;
    assert!(is_ok && told.contains("create  ewr  ewr-1\ncreate  cdg  cdg-1\nNothing was changed"), "{told}");
    assert_eq!((api.count("create"), api.inner().machines.len()), (0, 1));
    assert!(provision(&api, None, false).await.0);
    let made: Vec<(String, String)> =
        api.inner().machines.values().map(|machine| (machine.name.clone(), machine.state.clone())).collect();
    let asleep = |name: &str| (name.to_owned(), "stopped".to_owned());
    assert_eq!(made, [asleep("m1"), asleep("cdg-1"), asleep("ewr-1")], "created asleep");
    let (is_ok, told) = provision(&api, None, false).await;
    assert!(is_ok && !told.contains("create") && !told.contains("update"), "{told}");
}

#[tokio::test]
async fn a_new_image_reaches_sleepers_and_leaves_the_busy_alone() {
    let api = Api::serve(&[("m1", "ewr", "stopped"), ("m2", "ewr", "started"), ("p1", "cdg", "stopped")]).await;
    let (is_ok, told) = provision(&api, Some("game:2"), false).await;
    assert!(is_ok && told.contains("leave   ewr  m2 (m2): it runs"), "{told}");
    let image = |id: &str| api.inner().machines[id].config["image"].clone();
    assert_eq!([image("m1"), image("m2"), image("p1")], [json!("game:2"), json!("game:1"), json!("game:2")]);
}

#[tokio::test]
async fn a_refusal_says_at_which_machine_and_why() {
    let api = Api::serve(&[("m1", "ewr", "stopped")]).await;
    api.script("create", [(422, json!({"error": "no candidate host", "status": "insufficient_capacity"}))]);
    let (is_ok, told) = provision(&api, None, false).await;
    assert!(!is_ok && told.contains("ewr-1") && told.contains("no capacity"), "{told}");
    let (is_ok, _) = provision(&api, None, false).await;
    assert!(is_ok, "a second run continues");
    api.script("list", [(401, error("Authenticate: token validation error"))]);
    assert!(provision(&api, None, false).await.1.contains("401"));
}
