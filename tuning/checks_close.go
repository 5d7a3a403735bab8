package tuning

func closeChecks() []Check { return nil }
