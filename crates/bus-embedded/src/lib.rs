//! The bus on local disk, in the process.
