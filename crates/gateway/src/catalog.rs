//! What tools say of themselves.

/// What a server says of the effects of a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Whether the tool is in the server's catalogue.
    pub known: bool,
    /// `readOnlyHint`.
    pub read_only: bool,
    /// `destructiveHint`.
    pub destructive: bool,
    /// `idempotentHint`.
    pub idempotent: bool,
    /// `openWorldHint`.
    pub open_world: bool,
}

impl Facts {
    /// Returns what is assumed of a tool that is not in the catalogue.
    #[must_use]
    pub const fn unknown() -> Self {
        Self {
            known: false,
            read_only: false,
            destructive: true,
            idempotent: false,
            open_world: true,
        }
    }
}
