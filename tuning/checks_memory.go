package tuning

func memoryChecks() []Check { return nil }
