//! Several commands at once: in one pipeline, or in a cluster one for each name.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use redis::{Cmd, ErrorKind, Pipeline, RedisResult, ServerErrorKind, Value, aio::ConnectionLike};

/// How commands that belong together are sent.
pub(crate) struct Batches {
    /// A pipeline goes to one node, and the names of a batch are in slots of different nodes. Set
    /// from the start, or when the connection says so of the first batch, before anything is sent.
    by_name: AtomicBool,
}

impl Batches {
    pub(crate) const fn in_one_pipeline() -> Self {
        Self {
            by_name: AtomicBool::new(false),
        }
    }

    #[cfg(feature = "cluster")]
    pub(crate) const fn by_name() -> Self {
        Self {
            by_name: AtomicBool::new(true),
        }
    }

    /// Sends commands, each with the name that it is about. Returns as many answers, in this order.
    ///
    /// Commands about one name are performed in this order.
    pub(crate) async fn send<C: ConnectionLike + Clone>(
        &self,
        connection: &C,
        commands: Vec<(&[u8], Cmd)>,
    ) -> RedisResult<Vec<Value>> {
        if !self.by_name.load(Ordering::Relaxed) {
            match pipeline(connection, commands.iter().map(|(_, cmd)| cmd)).await {
                Err(e) if e.kind() == ErrorKind::Server(ServerErrorKind::CrossSlot) => {
                    self.by_name.store(true, Ordering::Relaxed);
                }
                answers => return answers,
            }
        }
        let mut order: Vec<usize> = (0..commands.len()).collect();
        order.sort_by_key(|&at| commands[at].0);
        let same_name = |a: &usize, b: &usize| commands[*a].0 == commands[*b].0;
        let groups: Vec<&[usize]> = order.chunk_by(same_name).collect();
        // Not cancelled by the first error: a master that is down does not keep the others from theirs.
        let sent = groups.iter().map(|group| {
            let commands = group.iter().map(|&at| &commands[at].1);
            pipeline(connection, commands)
        });
        let mut answers = vec![Value::Nil; commands.len()];
        for (group, sent) in groups.iter().zip(join_all(sent).await) {
            for (&at, answer) in group.iter().zip(sent?) {
                answers[at] = answer;
            }
        }
        Ok(answers)
    }
}

async fn pipeline<C: ConnectionLike + Clone>(
    connection: &C,
    commands: impl Iterator<Item = &Cmd>,
) -> RedisResult<Vec<Value>> {
    let mut pipeline = Pipeline::new();
    for command in commands {
        pipeline.add_command(command.clone());
    }
    pipeline.query_async(&mut connection.clone()).await
}
