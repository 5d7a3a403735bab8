package tuning

func processorChecks() []Check { return nil }
