//! A script that fails becomes the shortest that still fails in the same way.

use super::script::{Cut, End, Script, Take};

/// Every script that is one step simpler.
fn simpler(script: &Script) -> Vec<Script> {
    let mut scripts = Vec::new();
    let mut with = |change: &dyn Fn(&mut Script)| {
        let mut script = script.clone();
        change(&mut script);
        scripts.push(script);
    };
    for i in 0..script.steps.len() {
        with(&|s| {
            s.steps.remove(i);
        });
        with(&|s| s.steps[i].ticks = 0);
        with(&|s| s.steps[i].dropped_at = None);
        with(&|s| s.steps[i].eager = false);
    }
    for i in 0..script.peer.len() {
        with(&|s| {
            s.peer.remove(i);
        });
        with(&|s| s.peer[i].cut = Cut::Whole);
        with(&|s| s.peer[i].after_alert = false);
    }
    with(&|s| s.end = End::Silence);
    with(&|s| s.transport.buffered = false);
    with(&|s| s.transport.take = Take::All);
    with(&|s| s.transport.read_size = usize::MAX);
    with(&|s| s.transport.gates = None);
    with(&|s| s.transport.gates_until_read = false);
    with(&|s| s.transport.flush_blocks = 0);
    with(&|s| s.transport.fails = None);
    scripts
}

/// Simplifies for as long as it `fails` the same.
pub fn minimise(mut script: Script, fails: impl Fn(&Script) -> bool) -> Script {
    loop {
        let before = format!("{script:?}");
        let next = simpler(&script).into_iter();
        let mut next = next.filter(|next| format!("{next:?}") != before);
        match next.find(|next| fails(next)) {
            Some(next) => script = next,
            None => return script,
        }
    }
}
