"""What every change of a job shares: row locks in one order, moves by the tables, the log, kept answers, clean-up."""
