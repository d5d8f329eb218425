//! Tests of the whole policy; those of one file stand in it.

mod corpus;
mod dearest;
mod guessing;
mod hostile;
mod properties;
