// Package families makes the drivers of the card families from a profile: what operators write down, in the words of each driver.
package families
