//! Stateless tickets, bound to the context of their configuration.

use std::sync::Arc;

use rustls::server::ProducesTickets;

use super::context::Context;

/// Appends the context to what the ticketer of a configuration encrypts.
#[derive(Debug)]
pub(super) struct ContextTicketer {
    pub(super) inner: Arc<dyn ProducesTickets>,
    pub(super) context: Context,
}

impl ProducesTickets for ContextTicketer {
    fn enabled(&self) -> bool {
        self.inner.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.inner.lifetime()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.inner.encrypt(&self.context.bind(plain))
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let session = self.context.unbind(self.inner.decrypt(cipher)?)?;
        self.context.may_resume(&session).then_some(session)
    }
}
