//! From records and measured traces to model cards
