"""What there is to find out of a design: by simulation, on images, by estimate and by synthesis."""
