package keeper

// Probed waits until the probes that have begun are over.
func (k *Keeper) Probed() { k.probes.Wait() }
