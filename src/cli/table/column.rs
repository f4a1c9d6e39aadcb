//! What a column is, and how it gives way on a narrow terminal.

/// A column, and how it becomes narrower if the table is wider than the terminal.
#[derive(Clone, Copy)]
pub(in crate::cli) struct Column {
    pub(super) head: &'static str,
    pub(super) narrowing: Narrowing,
    /// Whether the column may be left out if cutting is not enough. The leftmost such column goes first.
    pub(super) may_be_left_out: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Narrowing {
    /// It keeps its width.
    None,
    /// Long texts are cut.
    Cut,
    /// Long texts are cut if cutting the other columns is not enough.
    CutLast,
    /// Moments lose their seconds.
    Minutes,
    /// It leaves the table. Rows that are not [plain](crate::cli::output::Look::Plain) show it on a line of their own.
    Beneath,
}

impl Column {
    /// A column of numbers or words, which are never cut.
    pub(in crate::cli) const fn whole(head: &'static str) -> Self {
        Self { head, narrowing: Narrowing::None, may_be_left_out: false }
    }

    /// A column of texts, which may be cut.
    pub(in crate::cli) const fn text(head: &'static str) -> Self {
        Self { narrowing: Narrowing::Cut, ..Self::whole(head) }
    }

    /// A column of identifiers, which may be left out if the names in the column before it tell them apart.
    pub(in crate::cli) const fn identifier(head: &'static str) -> Self {
        Self { may_be_left_out: true, ..Self::text(head) }
    }

    /// A column of states with what they wait for, which are cut last.
    pub(in crate::cli) const fn state(head: &'static str) -> Self {
        Self { narrowing: Narrowing::CutLast, ..Self::whole(head) }
    }

    /// A column of moments, written by [`moment`](crate::cli::output::moment).
    pub(in crate::cli) const fn moment(head: &'static str) -> Self {
        Self { narrowing: Narrowing::Minutes, ..Self::whole(head) }
    }

    /// A column of reasons, such as why a message was not delivered.
    pub(in crate::cli) const fn note(head: &'static str) -> Self {
        Self { narrowing: Narrowing::Beneath, ..Self::whole(head) }
    }

    /// The same column, which may be left out.
    pub(in crate::cli) const fn or_left_out(self) -> Self {
        Self { may_be_left_out: true, ..self }
    }

    pub(super) fn is_beneath(self) -> bool {
        self.narrowing == Narrowing::Beneath
    }
}
