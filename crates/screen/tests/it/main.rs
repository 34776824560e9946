//! Measures the rules on data that nobody here wrote.

mod detection;
mod labelled;
