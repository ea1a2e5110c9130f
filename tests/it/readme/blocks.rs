//! The code blocks of a Markdown text.

/// A block of code.
#[derive(Debug, Clone)]
pub(super) struct Block {
    /// Where it begins, for messages.
    pub(super) line: usize,
    /// What a fence says it is; empty for an indented block.
    pub(super) language: String,
    /// The last line of prose before it.
    pub(super) before: String,
    pub(super) text: String,
}

/// A command of a session, and what the text says that it prints.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) command: String,
    pub(super) prints: String,
}

impl Block {
    /// What it is called in a message.
    pub(super) fn name(&self) -> String {
        let first = self.text.lines().next().unwrap_or("");
        format!("line {}: {first}", self.line)
    }

    /// The name that the prose before it gives the file: "… `name.py`:".
    pub(super) fn file(&self) -> Option<&str> {
        let (_, name) = self.before.strip_suffix("`:")?.rsplit_once('`')?;
        Some(name)
    }

    /// Commands behind `$`, each with what it prints.
    pub(super) fn session(&self) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        for line in self.text.lines() {
            match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), _) => steps.push(Step {
                    command: command.to_owned(),
                    prints: String::new(),
                }),
                (None, Some(step)) => {
                    step.prints += line;
                    step.prints.push('\n');
                }
                (None, None) => panic!("{} is no session", self.name()),
            }
        }
        steps
    }
}

pub(super) fn of(markdown: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut before = String::new();
    let mut lines = markdown.lines().enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        let mut block = Block {
            line: number + 1,
            language: String::new(),
            before: before.clone(),
            text: String::new(),
        };
        if let Some(language) = line.strip_prefix("```") {
            language.clone_into(&mut block.language);
            for (_, line) in lines.by_ref().take_while(|(_, line)| *line != "```") {
                block.text += line;
                block.text.push('\n');
            }
        } else if let Some(first) = line.strip_prefix("    ")
            && follows_nothing(markdown, number)
        {
            block.text = format!("{first}\n");
            while let Some((_, line)) =
                lines.next_if(|(_, line)| line.starts_with("    ") || line.is_empty())
            {
                block.text += line.strip_prefix("    ").unwrap_or("");
                block.text.push('\n');
            }
            block.text = format!("{}\n", block.text.trim_end());
        } else {
            if !line.is_empty() {
                line.clone_into(&mut before);
            }
            continue;
        }
        blocks.push(block);
    }
    blocks
}

/// An indented line is code only behind an empty one.
fn follows_nothing(markdown: &str, number: usize) -> bool {
    number == 0
        || markdown
            .lines()
            .nth(number - 1)
            .is_none_or(|line| line.is_empty())
}
