//! Apps and machines as JSON, in the shape of the Machines API.
//!
//! Path: the API looks a machine up and shows it with [`machine`].
//! Invariants: every field the real API always sends is there; secrets are not.
//! Never: decides anything.

use std::time::SystemTime;

use serde_json::{Value, json};

use crate::app::App;
use crate::machine::{Identity, View};
use crate::supervisor::{image_ref, private_ip};

/// An app, as `GET /v1/apps/{app}` answers it.
pub(crate) fn app(app: &App, machine_count: usize) -> Value {
    json!({
        "id": app.name,
        "name": app.name,
        "status": "deployed",
        "machine_count": machine_count,
        "volume_count": 0,
        "network": "default",
        "organization": { "name": "Local", "slug": "local" },
    })
}

/// A machine, as every endpoint that answers one does.
pub(crate) fn machine(identity: &Identity, view: &View) -> Value {
    json!({
        "id": identity.id,
        "name": identity.name,
        "state": view.state,
        "region": identity.region,
        "instance_id": identity.version,
        "version": identity.version,
        "private_ip": private_ip(&identity.id),
        "image_ref": {
            "registry": "registry.fly.io",
            "repository": identity.app.name,
            "tag": "local",
            "digest": "",
        },
        "created_at": rfc3339(identity.created_at),
        "updated_at": rfc3339(view.updated_at),
        "config": config(&identity.app),
        "events": view.events,
        "checks": [],
        "host_status": "ok",
        "cordoned": false,
    })
}

fn config(app: &App) -> Value {
    json!({
        "image": image_ref(&app.name),
        "env": app.env,
        "guest": { "cpu_kind": "shared", "cpus": 1, "memory_mb": app.memory_mb },
        "metadata": { "fly_platform_version": "v2", "fly_process_group": "app" },
        "services": [service(app)],
        "restart": { "policy": app.restart.policy, "max_retries": app.restart.max_retries },
        "stop_config": {
            "signal": app.kill_signal.as_str(),
            "timeout": humantime::format_duration(app.kill_timeout).to_string(),
        },
        "auto_destroy": false,
    })
}

fn service(app: &App) -> Value {
    let service = &app.service;
    json!({
        "protocol": "tcp",
        "internal_port": service.internal_port,
        "ports": [
            { "port": 80, "handlers": ["http"], "force_https": service.force_https },
            { "port": 443, "handlers": ["tls", "http"] },
        ],
        "concurrency": service.concurrency,
        "autostart": service.autostart,
        // The API answers false where the file says "off". There is no autostop loop here.
        "autostop": false,
        "min_machines_running": service.min_machines_running,
    })
}

fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}
