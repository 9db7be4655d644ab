SELECT @schema@.declare_idle($1, $2, $3)
