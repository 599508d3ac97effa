//! `scripts/deploy.sh` with a stand-in for flyctl: it checks everything before it changes anything.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Answers like flyctl where all is well, and notes every deploy. `$SPOILED` names what is not well.
const FLY: &str = r#"#!/bin/sh
case "$*" in
    'auth whoami') [ "$SPOILED" != login ] && echo pilot@example.com ;;
    'status --app aerodrome-game') [ "$SPOILED" != app ] ;;
    'status '*) ;;
    'secrets list --app aerodrome-game')
        echo 'NAME              DIGEST'
        [ "$SPOILED" = secret ] || echo "AERODROME_SECRET  d$([ "$SPOILED" = digest ] && echo 2)"
        printf 'AWS_ACCESS_KEY_ID d\nAWS_SECRET_ACCESS_KEY d\nSTORE_URL d\n' ;;
    'secrets list '*) printf 'NAME DIGEST\nAERODROME_SECRET  d\nFLY_API_TOKEN d\n' ;;
    'ips list '*) [ "$SPOILED" != address ] || echo 'v6  2a09::1  public' ;;
    'orgs cross-network-replays status '*)
        echo "{\"allowAllCrossNetworkReplays\": $([ "$SPOILED" = network ] && echo false || echo true)}" ;;
    'apps list --json') echo '[{"Name":"aerodrome-game","Network":"hangar"}]' ;;
    *) echo "$*" >>"$(dirname "$0")/changes" ;;
esac
"#;

fn fly_in(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("fly"), FLY).unwrap();
    std::fs::set_permissions(folder.join("fly"), std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Whether the checks passed, and all that was said.
fn check(spoiled: &str) -> (bool, String) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("fly-{spoiled}"));
    fly_in(&folder);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/deploy.sh");
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let ran = Command::new(script).arg("--check").env("PATH", path).env("SPOILED", spoiled).output().unwrap();
    assert!(!folder.join("changes").exists(), "nothing is changed by a check");
    let said = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
    (ran.status.success(), said)
}

#[test]
fn every_check_passes_where_all_is_well() {
    let (is_ok, said) = check("nothing");
    assert!(is_ok && !said.contains("NOT"), "{said}");
    assert!(said.contains("share one AERODROME_SECRET") && said.contains("replays across its networks"), "{said}");
}

#[test]
fn each_thing_that_is_not_well_stops_it_and_says_what_to_do() {
    for (spoiled, what, to_do) in [
        ("login", "nobody is logged in", "fly auth login"),
        ("app", "there is no app aerodrome-game", "fly apps create aerodrome-game"),
        ("secret", "aerodrome-game has no secret AERODROME_SECRET", "fly secrets set"),
        ("digest", "the two AERODROME_SECRETs differ", "fly secrets set"),
        ("address", "aerodrome-game has a public address", "fly ips release"),
        ("network", "aerodrome-game is on a network of its own", "fly orgs cross-network-replays enable"),
    ] {
        let (is_ok, said) = check(spoiled);
        assert!(!is_ok && said.contains(what) && said.contains(to_do), "{spoiled}: {said}");
    }
}

#[test]
fn fly_scrapes_a_port_that_players_do_not_reach() {
    let file: toml::Table = include_str!("../../../fly.toml").parse().unwrap();
    let scraped = file["metrics"]["port"].as_integer().unwrap();
    assert_eq!(file["env"]["METRICS_PORT"].as_str().unwrap(), scraped.to_string());
    assert_ne!(file["http_service"]["internal_port"].as_integer().unwrap(), scraped);
    assert!(!file.contains_key("services"), "no other port is public");
    assert_eq!(file["metrics"]["path"].as_str(), Some("/metrics"));
}
