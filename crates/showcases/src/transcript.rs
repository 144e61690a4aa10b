//! What a person reads while a project is played.
#![allow(clippy::print_stdout, reason = "it is what is asked for")]

/// Steps, and what was checked of them.
#[derive(Debug, Default)]
pub(crate) struct Transcript {
    steps: u32,
    checks: u32,
    faults: Vec<String>,
}

impl Transcript {
    pub(crate) fn title(title: &str, about: &str) {
        println!("{title}\n{about}.\n");
    }

    /// Something that a party does: the next step.
    pub(crate) fn step(&mut self, who: &str, what: &str) -> u32 {
        self.steps += 1;
        println!("{:>3}  {who}: {what}", self.steps);
        self.steps
    }

    /// What is to be seen.
    pub(crate) fn note(text: &str) {
        println!("       {text}");
    }

    /// Something that must hold.
    pub(crate) fn check(&mut self, what: &str, holds: bool) {
        self.checks += 1;
        let mark = if holds { "ok " } else { "NOT" };
        println!("       {mark} {what}");
        if !holds {
            self.faults.push(format!("step {}: {what}", self.steps));
        }
    }

    /// What did not hold, after the last step.
    pub(crate) fn end(self) -> Vec<String> {
        let held = self.checks - u32::try_from(self.faults.len()).unwrap_or(u32::MAX);
        println!("\n{} steps; {held} of {} checks hold\n", self.steps, self.checks);
        self.faults
    }
}
