//! A page of a list, before it is put on the wire.

/// A page of a list, and where the next one begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T, C> {
    /// At most as many as were asked for.
    pub items: Vec<T>,
    /// `None` on the last page.
    pub next: Option<C>,
}

impl<T, C> Page<T, C> {
    /// From up to `size` + 1 items: the last one only tells that there are more.
    pub fn of(mut items: Vec<T>, size: u32, cursor: impl FnOnce(&T) -> C) -> Self {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let more = items.len() > size;
        items.truncate(size);
        let next = if more { items.last().map(cursor) } else { None };
        Self { items, next }
    }
}

/// How many rows to read for a page, see [`Page::of`].
#[must_use]
pub fn one_more(size: u32) -> i64 {
    i64::from(size) + 1
}
