"""Live runs over Socket.IO."""
