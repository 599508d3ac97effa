//! Apps and machines as the Machines API's JSON.
//!
//! Path: the API looks a machine up and shows it with [`machine`].
//! Invariants: every field the real API always sends is there; secrets are not.
//! Never: decides anything.

use std::time::SystemTime;

use serde_json::{Map, Value, json};

use crate::app::App;
use crate::boot::private_ip;
use crate::controls::Host;
use crate::machine_state::{Event, Identity, View};

/// Events in a machine's own object; the events' endpoint shows more.
const EVENTS_SHOWN_MAX: usize = 20;

/// An app, as `GET /v1/apps` and `GET /v1/apps/{app}` answer it.
pub(crate) fn app(app: &App, machine_count: usize) -> Value {
    json!({
        "id": app.name,
        "name": app.name,
        "status": if machine_count == 0 { "pending" } else { "deployed" },
        "machine_count": machine_count,
        "volume_count": 0,
        "network": app.network,
        "organization": { "name": "Local", "slug": "local" },
    })
}

/// A machine, as every endpoint that answers one does.
pub(crate) fn machine(identity: &Identity, view: &View, host: Host) -> Value {
    let mut shown = summary(identity, view);
    let more = json!({
        "events": view.events.iter().take(EVENTS_SHOWN_MAX).collect::<Vec<&Event>>(),
        "checks": [],
        "host_status": if host == Host::Unreachable { "unreachable" } else { "ok" },
    });
    // The configuration lies with the host.
    let config = if host == Host::Unreachable { "incomplete_config" } else { "config" };
    shown.insert(config.into(), Value::Object(view.spec.shown().clone()));
    if let Value::Object(more) = more {
        shown.extend(more);
    }
    Value::Object(shown)
}

/// A machine, as a list with `summary` shows it: without what is long or lies with the host.
pub(crate) fn summary(identity: &Identity, view: &View) -> Map<String, Value> {
    let shown = json!({
        "id": identity.id,
        "name": identity.name,
        "state": view.state,
        "region": identity.region,
        "instance_id": view.version,
        "version": view.version,
        "private_ip": private_ip(&identity.id),
        "image_ref": image_ref(view.spec.image()),
        "created_at": rfc3339(identity.created_at),
        "updated_at": rfc3339(view.updated_at),
        "cordoned": view.is_cordoned,
    });
    match shown {
        Value::Object(shown) => shown,
        _ => unreachable!("it was made as an object"),
    }
}

fn image_ref(image: &str) -> Value {
    let (image, digest) = image.split_once('@').unwrap_or((image, ""));
    let (registry, rest) = image.split_once('/').unwrap_or(("registry-1.docker.io", image));
    let (repository, tag) = rest.rsplit_once(':').unwrap_or((rest, "latest"));
    json!({ "registry": registry, "repository": repository, "tag": tag, "digest": digest })
}

fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}
