//! What is true of invitations and answers: values and decisions, no input or output.

pub mod answer;
pub mod contact;
pub mod invitation;
pub mod policy;
pub mod refusal;
pub mod token;
