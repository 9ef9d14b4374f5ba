//! The driver's reports to a monitor; without the feature `inspect`, a type that reports nothing.

#[cfg(feature = "inspect")]
pub(crate) use crate::inspect::Tap;

#[cfg(not(feature = "inspect"))]
pub(crate) use untapped::Tap;

#[cfg(not(feature = "inspect"))]
mod untapped {
    use std::task::Context;

    use thalweg::Role;
    use thalweg_io::{Connection, ConnectionEnd};

    /// Reports nothing.
    #[derive(Default)]
    pub(crate) struct Tap(());

    impl Tap {
        pub(crate) fn received(&mut self, _: &[u8]) {}

        pub(crate) fn sent<'a>(&mut self, _: impl Iterator<Item = &'a [u8]>) {}

        pub(crate) fn publish<R: Role>(
            &mut self,
            _: &Context<'_>,
            _: &Connection<R>,
            _: impl FnOnce() -> usize,
        ) {
        }

        pub(crate) fn end(&mut self, _: &ConnectionEnd) {}
    }
}
