//! The CloudEvent: borrowed and owned views, formats, rules.
