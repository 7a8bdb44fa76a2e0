package org.tinytl.sample

/** Actions of the buttons of a [Screen]; a photo is requested with the index of its class. */
internal class ScreenActions(
    val addClass: (String) -> Unit,
    val pick: (Int) -> Unit,
    val take: (Int) -> Unit,
    val live: () -> Unit,
    val train: () -> Unit,
    val trainLater: () -> Unit,
    val stop: () -> Unit,
    val save: () -> Unit,
    val restore: () -> Unit,
    val reset: () -> Unit,
    val share: () -> Unit,
)
