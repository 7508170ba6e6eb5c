package kiosk

import "maps"

// Problems are the API's codes as this package knows them.
func Problems() map[string]error { return maps.Clone(problems) }
