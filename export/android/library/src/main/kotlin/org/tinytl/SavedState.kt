package org.tinytl

/**
 * Content of a state file.
 *
 * @property values the state; all values are finite
 * @property addedClasses names of the classes that were added on the device, in the order of their outputs
 */
public class SavedState(
    public val values: FloatArray,
    public val addedClasses: List<String>,
)
