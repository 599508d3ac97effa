//! Checks every answer of the API against the OpenAPI file that `FLY_OPENAPI` names. Without one it checks nothing: the
//! file is Fly's, not ours.
//!
//! Fields that the file does not know are errors too, so that a misspelt one is found; what Fly's own pages or its newer
//! file say otherwise is listed in [`corrected`].

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use jsonschema::Validator;
use serde_json::{Value, json};

/// Fly's file, corrected.
static SPEC: LazyLock<Option<Value>> = LazyLock::new(|| {
    let path = std::env::var("FLY_OPENAPI").ok().filter(|path| !path.is_empty())?;
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("FLY_OPENAPI={path}: {error}"));
    Some(corrected(serde_json::from_str(&text).expect("FLY_OPENAPI is JSON")))
});

/// Panics if an answer of `method` to `path` (without `/v1`) is none that the file allows.
pub(crate) fn check(method: &str, path: &str, status: u16, body: &Value) {
    let Some(spec) = SPEC.as_ref() else { return };
    let operation = spec["paths"].as_object().expect("paths").iter().find(|(template, _)| fits(template, path));
    let Some((template, operation)) = operation.filter(|(_, it)| it.get(method.to_lowercase()).is_some()) else {
        // Only refusals may be about something that is not there.
        assert!(status == 404 || status == 405, "{method} {path} is not in the specification");
        return;
    };
    let responses = &operation[method.to_lowercase()]["responses"];
    let what = format!("{method} {path}: {status} {body}");
    // A lease in the way has a shape of its own in the pages; it is compared word for word where it is tested.
    if status >= 400 && body.get("message").is_none() {
        return validate("ErrorResponse", &json!({ "$ref": "#/components/schemas/ErrorResponse" }), body, &what);
    }
    if status >= 400 {
        return;
    }
    let response = responses.get(status.to_string());
    let response = response.unwrap_or_else(|| panic!("{what}: the specification knows no such status"));
    let Some(schema) = response.pointer("/content/application~1json/schema") else { return };
    // The pages and Fly's own clients have an envelope around a lease.
    let body = if template.ends_with("/lease") { &body["data"] } else { body };
    validate(&format!("{template} {method} {status}"), schema, body, &what);
}

fn validate(key: &str, schema: &Value, body: &Value, what: &str) {
    static COMPILED: LazyLock<Mutex<HashMap<String, &'static Validator>>> = LazyLock::new(Mutex::default);
    let compile = || {
        let mut whole = schema.clone();
        whole["components"] = SPEC.as_ref().expect("it was there")["components"].clone();
        &*Box::leak(Box::new(jsonschema::validator_for(&whole).expect("the specification's schemas are valid")))
    };
    let validator: &Validator =
        COMPILED.lock().unwrap_or_else(PoisonError::into_inner).entry(key.to_owned()).or_insert_with(compile);
    let errors: Vec<_> =
        validator.iter_errors(body).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{what} is not as specified:\n{}", errors.join("\n"));
}

fn fits(template: &str, path: &str) -> bool {
    let (template, path) = (template.split('/'), path.split('/'));
    template.clone().count() == path.clone().count()
        && template.zip(path).all(|(wanted, given)| wanted.starts_with('{') || wanted == given)
}

fn corrected(mut spec: Value) -> Value {
    let schemas = spec["components"]["schemas"].as_object_mut().expect("schemas");
    for schema in schemas.values_mut() {
        if schema.get("properties").is_some() && schema.get("additionalProperties").is_none() {
            schema["additionalProperties"] = json!(false);
        }
    }
    // Newer fields, and those that only the pages have.
    for name in ["version", "cordoned"] {
        schemas["Machine"]["properties"][name] = json!({});
    }
    schemas["main.statusCode"]["enum"].as_array_mut().expect("an enum").push(json!("name_taken"));
    // Says its own description: answers have booleans for `off` and `stop`.
    schemas["fly.MachineService"]["properties"]["autostop"] = json!({ "enum": [true, false, "suspend"] });
    spec
}

#[test]
fn a_wrong_answer_would_be_found() {
    if SPEC.is_none() {
        return;
    }
    let wrong = [
        ("GET", "/apps/a/machines/b", 200, json!({ "id": 1 })),
        ("GET", "/apps/a/machines/b", 200, json!({ "stat": "started" })),
        ("GET", "/apps/a/machines", 200, json!({})),
        ("GET", "/apps/a/machines/b", 201, json!({})),
        ("POST", "/apps/a/machines/b/start", 409, json!({ "error": 1 })),
        ("GET", "/apps/a/nothing", 200, json!({})),
    ];
    for (method, path, status, body) in wrong {
        let found = std::panic::catch_unwind(|| check(method, path, status, &body));
        assert!(found.is_err(), "{method} {path} {status} {body} passed");
    }
    check("GET", "/apps/a/machines/b", 200, &json!({ "id": "b", "state": "started" }));
}
