//! May it happen: facts in, a permit or a refusal out. No IO.
