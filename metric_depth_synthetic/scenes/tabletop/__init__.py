"""Tables with objects, seen from close by."""
