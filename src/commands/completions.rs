//! `raincheck completions SHELL` and `raincheck man`: made from the command line itself.

use clap::CommandFactory;
use clap_complete::{Shell, generate};
use clap_mangen::Man;

use crate::cli::Cli;
use crate::failure::Failure;
use crate::terminal::Terminal;

pub(super) fn completions(shell: Shell, terminal: &Terminal) -> Result<(), Failure> {
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "raincheck", &mut script);
    terminal.write(&script)
}

/// One page: the program's own, then each command's options.
pub(super) fn man(terminal: &Terminal) -> Result<(), Failure> {
    let mut page = Vec::new();
    render(&mut page).map_err(|error| Failure::because("the man page could not be made", error))?;
    terminal.write(&page)
}

fn render(page: &mut Vec<u8>) -> std::io::Result<()> {
    let mut program = Cli::command();
    program.build();
    let man = Man::new(program.clone());
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    for command in program.get_subcommands().filter(|command| command.get_name() != "help") {
        page.extend(format!(".SH {}\n", command.get_name().to_uppercase()).bytes());
        if let Some(about) = command.get_about() {
            page.extend(format!("{about}.\n").bytes());
        }
        let man = Man::new(command.clone());
        let mut part = Vec::new();
        man.render_synopsis_section(&mut part)?;
        man.render_options_section(&mut part)?;
        // Sections of a page become parts of a section.
        page.extend(String::from_utf8_lossy(&part).replace(".SH ", ".SS ").bytes());
    }
    man.render_extra_section(page)
}
