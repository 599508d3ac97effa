//! The template: the configuration that a new machine gets.
//!
//! Invariants: pure; it is the newest deployment's, so that image, services and size are stated in one place
//! (`net/fly.toml`).

use crate::machine::{Machine, MachineConfig, MachineState};
use std::cmp::Reverse;
use std::sync::Arc;

/// The configuration of the newest deployment, of its first machine by id, so that every lobby chooses the same. `None`
/// when nothing was ever deployed.
pub fn newest(machines: &[Machine]) -> Option<Arc<MachineConfig>> {
    let there = machines.iter().filter(|machine| machine.state != MachineState::Gone && machine.config.is_known());
    let newest = there.max_by_key(|machine| (machine.config.release(), Reverse(&machine.id)))?;
    Some(Arc::new(newest.config.marked(false)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tests::{config, machine};

    fn deployed(id: &str, config: MachineConfig) -> Machine {
        Machine { config: Arc::new(config), ..machine(id, "ewr", MachineState::Asleep) }
    }

    #[test]
    fn the_template_is_the_newest_deployment_whoever_asks() {
        let old = deployed("a", config("game:1", "9"));
        let grown = deployed("b", config("game:2", "10").marked(true));
        let other = deployed("c", config("game:3", "10"));
        let broken = deployed("d", MachineConfig::default());
        assert_eq!(newest(std::slice::from_ref(&broken)), None);
        let chosen = newest(&[other.clone(), old.clone(), grown.clone(), broken.clone()]).unwrap();
        assert_eq!(*chosen, config("game:2", "10"), "the mark is not handed on");
        assert_eq!(newest(&[grown, broken, old, other]).unwrap(), chosen);
    }
}
