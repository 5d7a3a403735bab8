package tuning

func goChecks() []Check { return nil }
