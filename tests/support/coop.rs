//! tokio's budget: how many steps of I/O a task may take in one turn.

use tokio::sync::mpsc::unbounded_channel;

/// What tokio gives to each turn of a task.
pub const BUDGET: usize = 128;

/// Spends so many steps of this turn.
pub async fn spend(steps: usize) {
    let (sender, mut receiver) = unbounded_channel();
    for _ in 0..steps {
        sender.send(()).unwrap();
        receiver.recv().await;
    }
}
