"""From a source to an image whose tests are proven: recipes, bases, builds."""
