//! The commands of the program `tollgate`: one file each.

pub mod replay;
