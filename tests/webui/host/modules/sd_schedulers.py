"""That this module is there tells extensions that the schedule has a list of its own."""

schedulers = ("Automatic", "Uniform", "Karras")
