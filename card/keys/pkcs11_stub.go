//go:build !pkcs11

package keys

// DeviceAvailable says whether the program was built with PKCS#11.
const DeviceAvailable = false

// OpenDevice fails with ErrNotBuilt.
func OpenDevice(DeviceOptions) (Device, error) { return nil, ErrNotBuilt }
